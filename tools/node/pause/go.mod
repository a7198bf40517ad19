module keyset.dev/tools/node/pause

go 1.26
