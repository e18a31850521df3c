"""Space folders: the demo page, or a static page, as a repository of the Hub."""
