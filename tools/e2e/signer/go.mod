module keyset.dev/tools/e2e/signer

go 1.26
