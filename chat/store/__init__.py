"""What runs in a database thread: it knows neither asyncio nor the event loop's objects."""
