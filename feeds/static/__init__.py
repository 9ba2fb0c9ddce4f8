"""Export the whole site as static files, into a folder or a bucket, for a web server or a CDN to serve without this service.

files (names) <- site_files (which ones, and their marks) -> export (what is due) -> render (documents; others with pages, the
web application) -> targets (folder, bucket).
"""
