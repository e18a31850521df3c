"""The command lines: options derived from the settings; heavy imports only when work starts."""
