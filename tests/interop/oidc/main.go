// Finds the keys of an issuer by discovery and verifies tokens, as a relying party in Go does. Input: JSON lines {issuer,
// audience, token}; output: the subject of each. SSL_CERT_FILE names the CA.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/coreos/go-oidc/v3/oidc"
)

func main() {
	input := json.NewDecoder(os.Stdin)
	for {
		var asked struct{ Issuer, Audience, Token string }
		if err := input.Decode(&asked); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			log.Fatal(err)
		}
		subject, err := verify(context.Background(), asked.Issuer, asked.Audience, asked.Token)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(subject)
	}
}

func verify(ctx context.Context, issuer, audience, token string) (string, error) {
	provider, err := oidc.NewProvider(ctx, issuer)
	if err != nil {
		return "", err
	}
	verified, err := provider.Verifier(&oidc.Config{ClientID: audience}).Verify(ctx, token)
	if err != nil {
		return "", err
	}
	return verified.Subject, nil
}
