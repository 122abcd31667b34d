"""Images: gray, other sizes, random views."""
