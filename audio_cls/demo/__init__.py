"""Demo of a trained model: a local page, a Space folder, a static page."""
