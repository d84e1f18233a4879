"""One verb a file: orchestration between formats and core. Nothing here prints."""
