"""Static page: the model runs in the visitor's browser, by transformers.js and WebAssembly."""
