// Package money counts in cents.
package money

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Cents are never rounded.
type Cents int64

// Parse reads "12", "12.5" and "12.50".
func Parse(text string) (Cents, error) {
	whole, rest, _ := strings.Cut(strings.TrimSpace(text), ".")
	if len(rest) > 2 {
		return 0, errors.New("too precise")
	}
	units, err := strconv.ParseInt(whole+(rest + "00")[:2], 10, 64)
	return Cents(units), err
}

func (c Cents) String() string {
	return fmt.Sprintf("%d.%02d", int64(c)/100, int64(c)%100)
}
