//go:build tools

// Package flux has go.mod hold the module whose CRDs the tests apply; nothing of it is built.
package flux

import _ "github.com/fluxcd/source-controller/tests/listener"
