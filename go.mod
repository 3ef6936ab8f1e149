module github.com/alca-mount/alca-mount

go 1.26.5
