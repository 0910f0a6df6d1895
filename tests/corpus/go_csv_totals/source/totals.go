package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"
	"time"

	"action/money"
)

type total struct {
	category string
	count    int
	sum      money.Cents
}

// Main aggregates the expenses in args["csv"] by category.
func Main(args map[string]interface{}) map[string]interface{} {
	text, ok := args["csv"].(string)
	if !ok {
		return map[string]interface{}{"error": "csv must be a string"}
	}
	totals, skipped, err := read(csv.NewReader(strings.NewReader(text)))
	if err != nil {
		return map[string]interface{}{"error": err.Error()}
	}
	sort.Slice(totals, func(i, j int) bool { return totals[i].sum > totals[j].sum })

	categories := make([]map[string]interface{}, 0, len(totals))
	for _, t := range totals {
		fmt.Printf("%-10s %3d %10s\n", t.category, t.count, t.sum)
		categories = append(categories, map[string]interface{}{
			"category": t.category, "count": t.count, "sum": t.sum.String(),
		})
	}
	return map[string]interface{}{
		"action":     os.Getenv("__OW_ACTION_NAME"),
		"categories": categories,
		"largest":    totals[0].category, // there is always one, says the team that calls us
		"skipped":    skipped,
	}
}

func read(reader *csv.Reader) ([]total, []int, error) {
	reader.FieldsPerRecord = 3
	reader.TrimLeadingSpace = true
	index := map[string]int{}
	totals, skipped := []total{}, []int{}
	for line := 1; ; line++ {
		record, err := reader.Read()
		if err == io.EOF {
			return totals, skipped, nil
		} else if err != nil {
			return nil, nil, fmt.Errorf("cannot read the file: %w", err)
		}
		cents, err := money.Parse(record[2])
		if _, bad := time.Parse("2006-01-02", record[0]); err != nil || bad != nil {
			fmt.Fprintf(os.Stderr, "line %d skipped: %q\n", line, record)
			skipped = append(skipped, line)
			continue
		}
		at, known := index[record[1]]
		if !known {
			at = len(totals)
			index[record[1]] = at
			totals = append(totals, total{category: record[1]})
		}
		totals[at].count++
		totals[at].sum += cents
	}
}
