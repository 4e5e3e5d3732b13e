"""What the pages that we make are drawn with: one HTML file each, nothing else needed."""
