"""This folder is a package to install; collecting it would import it."""

collect_ignore_glob = ["*"]
