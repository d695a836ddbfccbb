"""Images with their labels in files: folders of pictures, arrays, DICOM and NIfTI. A format is a module with `read` and `write`."""
