// Runs examples/signer.go: for each line of the input, [claims, seconds], a token, all by one process.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"time"
)

func main() {
	signer, err := NewSigner(os.Getenv("KEYSET_DIR"))
	if err != nil {
		log.Fatal(err)
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var claims map[string]any
		var seconds int
		if err := json.Unmarshal(lines.Bytes(), &[]any{&claims, &seconds}); err != nil {
			log.Fatal(err)
		}
		token, err := signer.Sign(claims, time.Duration(seconds)*time.Second)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(token)
	}
}
