"""Code that runs in a database thread. It uses neither asyncio nor objects of the event loop."""
