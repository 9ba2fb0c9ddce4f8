"""Export the whole site as static files, into a folder or a bucket, for a web server or a CDN to serve without this service.

site_files (which files there are, and their marks) -> export (what is due) -> render (the bytes) -> targets (folder, bucket).
`files` names the files.
"""
