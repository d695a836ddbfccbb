"""Studies that run many times over one table: augmentation, learning curves. Importing this package imports none of them."""
