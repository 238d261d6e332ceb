"""One file an exercise. Adding a file here adds an exercise; adding a function, a mistake."""
