"""One module for each work that is measured: TITLE, and measure(bench), which gives its tables."""
