"""Values of every type through every input and output format: what comes out is what went in."""
