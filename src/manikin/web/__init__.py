"""Pages on this computer for what needs a person: one reader, one image, one answer at a time. Knows rooms, not what their images are."""
