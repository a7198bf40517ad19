// Command signer is an issuer as users have them: it knows the file of a mounted Signer Secret, and nothing else. Each
// request is answered with a token that the key of the file signs, as the file is at that moment; ?lifetime=SECONDS is
// how long the token lives.
//
// It is in Go and knows no library, so that nothing of the operator's own code vouches for the operator.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"strconv"
	"time"
)

const file = "/var/run/keyset/private.jwk"

func main() {
	http.HandleFunc("/token", func(answer http.ResponseWriter, request *http.Request) {
		seconds, err := strconv.Atoi(request.URL.Query().Get("lifetime"))
		if err != nil {
			http.Error(answer, "lifetime: seconds, please", http.StatusBadRequest)
			return
		}
		token, err := sign(time.Now(), time.Duration(seconds)*time.Second)
		if err != nil {
			log.Print(err)
			http.Error(answer, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(answer, token)
	})
	log.Fatal(http.ListenAndServe(":8080", nil))
}

// One file holds kid and key, so the two belong together, whenever the kubelet swaps it.
func sign(now time.Time, lifetime time.Duration) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	var jwk struct{ Kid, Alg, D string }
	if err := json.Unmarshal(text, &jwk); err != nil {
		return "", err
	}
	if jwk.Alg != "ES256" {
		return "", fmt.Errorf("%s is not ES256, and this signer knows nothing else", jwk.Alg)
	}
	secret, err := base64.RawURLEncoding.DecodeString(jwk.D)
	if err != nil {
		return "", err
	}
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), secret)
	if err != nil {
		return "", err
	}
	header, err := part(map[string]any{"alg": jwk.Alg, "kid": jwk.Kid, "typ": "JWT"})
	if err != nil {
		return "", err
	}
	claims, err := part(map[string]any{"iat": now.Unix(), "exp": now.Add(lifetime).Unix()})
	if err != nil {
		return "", err
	}
	message := header + "." + claims
	digest := sha256.Sum256([]byte(message))
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		return "", err
	}
	// RFC 7518 section 3.4.
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return message + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

func part(members map[string]any) (string, error) {
	text, err := json.Marshal(members)
	return base64.RawURLEncoding.EncodeToString(text), err
}
