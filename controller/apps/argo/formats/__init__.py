"""The formats that products can be written in, a file each."""
