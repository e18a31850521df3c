"""Commands: options are made from the settings; heavy imports happen only when work starts."""
