"""Tables, figures and files of an evaluation."""
