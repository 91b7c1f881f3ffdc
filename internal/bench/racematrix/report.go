package racematrix

import (
	"fmt"
	"slices"
	"strings"

	"github.com/larder-go/larder/internal/bench"
)

// Modules returns the paths of the modules whose versions a report shows.
func Modules(contenders []Contender) (paths []string) {
	for _, c := range contenders {
		paths = append(paths, c.Modules...)
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

// String renders the matrix in markdown.
func (m *Matrix) String() string {
	var b strings.Builder
	t := &bench.Table{Header: []string{"race"}}
	for _, c := range m.Columns {
		t.Header = append(t.Header, c.Contender.Name)
	}
	notes := &footnotes{}
	for _, r := range Races() {
		for _, p := range r.Parts {
			row := []string{p.ID + " " + p.Question}
			for _, c := range m.Columns {
				row = append(row, notes.mark(c.Cells[p.ID]))
			}
			t.Add(row...)
		}
	}
	b.WriteString("## Matrix\n\n" + t.String() + "\n")
	for i, note := range notes.texts {
		fmt.Fprintf(&b, "%d. %s\n", i+1, note)
	}
	m.writeLegend(&b)
	b.WriteString("\n## Races\n\n")
	for _, r := range Races() {
		fmt.Fprintf(&b, "- **%s. %s**: %s.\n", r.ID, r.Title, r.Why)
	}
	return b.String()
}

// writeLegend explains the verdicts that occur.
func (m *Matrix) writeLegend(b *strings.Builder) {
	b.WriteString("\n## Legend\n\n")
	for _, entry := range legend() {
		if m.has(entry[0]) {
			fmt.Fprintf(b, "- **%s**: %s\n", entry[0], entry[1])
		}
	}
}

func (m *Matrix) has(text string) bool {
	for _, c := range m.Columns {
		for _, cell := range c.Cells {
			if cell.Text == text {
				return true
			}
		}
	}
	return false
}

// Facts renders who took part, how, and in which versions.
func (m *Matrix) Facts() string {
	var b strings.Builder
	var contenders []Contender
	redis := ""
	t := &bench.Table{Header: []string{"contender", "used"}}
	for _, c := range m.Columns {
		contenders = append(contenders, c.Contender)
		t.Add(c.Contender.Name, c.Contender.Use)
		redis = max(redis, c.Redis)
	}
	b.WriteString("## Contenders\n\n" + t.String() + "\n")
	f := bench.Collect(redis, Modules(contenders)...)
	versions := &bench.Table{Header: []string{"what", "version"}}
	versions.Add("Go", f.Go+", "+f.OS)
	if redis != "" {
		versions.Add("Redis", redis)
	}
	for _, module := range f.Modules {
		versions.Add(module.Path, module.Version)
	}
	b.WriteString(versions.String())
	return b.String()
}

// footnotes numbers notes; equal ones share a number.
type footnotes struct{ texts []string }

// mark returns c's text with the number of its note.
func (f *footnotes) mark(c Cell) string {
	if c.Note == "" {
		return c.Text
	}
	i := slices.Index(f.texts, c.Note)
	if i < 0 {
		i = len(f.texts)
		f.texts = append(f.texts, c.Note)
	}
	return fmt.Sprintf("%s (%d)", c.Text, i+1)
}
