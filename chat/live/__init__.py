"""What runs on the event loop: it never touches the ORM, and hands database work to `database`."""
