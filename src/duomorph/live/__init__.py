"""Live: sound in, frames out to other programs, for hours."""
