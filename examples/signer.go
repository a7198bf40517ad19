// Signs tokens with the active key of a mounted Signer Secret: go get github.com/go-jose/go-jose/v4
package main

import (
	"log"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const maxLifetime = time.Hour // T, spec.tokens.maxLifetime: no token lives longer

// Signer signs with the key that is mounted at that moment.
type Signer struct {
	directory string
	mutex     sync.Mutex
	version   string // where the link ..data led to when the key was read
	active    jose.Signer
}

// NewSigner reads the key in the directory that the Secret is mounted at.
func NewSigner(directory string) (*Signer, error) {
	s := &Signer{directory: directory}
	return s, s.read()
}

// Sign gives a token with these claims.
func (s *Signer) Sign(claims map[string]any, lifetime time.Duration) (string, error) {
	now := time.Now()
	all := map[string]any{}
	maps.Copy(all, claims)
	all["iat"], all["exp"] = now.Unix(), now.Add(min(lifetime, maxLifetime)).Unix()
	return jwt.Signed(s.current()).Claims(all).Serialize()
}

func (s *Signer) current() jose.Signer {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if err := s.read(); err != nil {
		log.Printf("the Signer Secret cannot be read, the key before signs on: %v", err)
	}
	return s.active
}

// A kubelet swaps all files of a Secret at once, by leading the link ..data elsewhere. To look at it costs microseconds.
func (s *Signer) read() error {
	version, err := os.Readlink(filepath.Join(s.directory, "..data"))
	if err != nil || version == s.version {
		return err
	}
	text, err := os.ReadFile(filepath.Join(s.directory, version, "private.jwk"))
	if err != nil {
		return err
	}
	var jwk jose.JSONWebKey // key, kid and alg from one file, so that they belong together
	if err := jwk.UnmarshalJSON(text); err != nil {
		return err
	}
	key := jose.SigningKey{Algorithm: jose.SignatureAlgorithm(jwk.Algorithm), Key: jwk}
	active, err := jose.NewSigner(key, (&jose.SignerOptions{}).WithType("JWT"))
	if err == nil {
		s.version, s.active = version, active
	}
	return err
}
