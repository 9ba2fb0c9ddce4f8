"""What makes the documentation. Nothing in feeds/ imports it."""
