package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// nbsp stands between a number and its unit, so that a line never breaks there.
const nbsp = "\u00a0"

// none stands where there is no figure; a 0 would be read as a measurement.
const none = "–"

// longest is the number of characters that a name or command is shown with.
const longest = 160

// count writes n with thousands separators: 1,812,345.
func count(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, digits = "−", digits[1:]
	}
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return sign + b.String()
}

// rate writes a number per second: 90,412, and with a decimal below 10.
func rate(perSecond float64) string {
	switch {
	case !finite(perSecond):
		return none
	case perSecond != 0 && math.Abs(perSecond) < 9.95:
		return trim(perSecond, 1)
	default:
		return count(int64(math.Round(perSecond)))
	}
}

// short writes a number for an axis: 90 k, 1.2 M.
func short(v float64) string {
	switch a := math.Abs(v); {
	case a >= 1e9:
		return trim(v/1e9, 2) + nbsp + "G"
	case a >= 1e6:
		return trim(v/1e6, 2) + nbsp + "M"
	case a >= 1e3:
		return trim(v/1e3, 2) + nbsp + "k"
	default:
		return trim(v, 2)
	}
}

// latency writes milliseconds in the unit that suits them, to three digits: 412 µs, 1.24 ms, 1.31 s.
func latency(ms float64) string {
	switch a := math.Abs(ms); {
	case !finite(ms):
		return none
	case a == 0:
		return "0" + nbsp + "ms"
	case a < 0.9995:
		return three(ms*1000) + nbsp + "µs"
	case a < 999.5:
		return three(ms) + nbsp + "ms"
	case a < 119_500:
		return three(ms/1000) + nbsp + "s"
	default:
		return seconds(ms / 1000)
	}
}

// axisLatency is latency without the zeros that make a row of ticks ragged: 1 ms rather than 1.00 ms.
func axisLatency(ms float64) string {
	number, unit, ok := strings.Cut(latency(ms), nbsp)
	if !ok {
		return number
	}
	if strings.Contains(number, ".") {
		number = strings.TrimRight(strings.TrimRight(number, "0"), ".")
	}
	return number + nbsp + unit
}

// seconds writes a time within a load: 8.0 s, 12 m 30.5 s, 1 h 2 m 3 s.
func seconds(s float64) string {
	if !finite(s) {
		return none
	}
	if math.Abs(s) < 119.95 {
		return strconv.FormatFloat(s, 'f', 1, 64) + nbsp + "s"
	}
	tenths := int64(math.Round(s * 10))
	h, m, rest := tenths/36000, tenths/600%60, float64(tenths%600)/10
	var b strings.Builder
	if h > 0 {
		fmt.Fprintf(&b, "%d%sh%s", h, nbsp, nbsp)
	}
	if m > 0 {
		fmt.Fprintf(&b, "%d%sm%s", m, nbsp, nbsp)
	}
	if rest > 0 {
		fmt.Fprintf(&b, "%s%ss", trim(rest, 1), nbsp)
	}
	return strings.TrimSuffix(b.String(), nbsp)
}

// clock writes a time on an axis: 12 s, 2:30, 1:02:30. long says that minutes are wanted.
func clock(s float64, long bool) string {
	if !long {
		return trim(s, 1) + nbsp + "s"
	}
	n := int64(math.Round(s))
	if n >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", n/3600, n/60%60, n%60)
	}
	return fmt.Sprintf("%d:%02d", n/60, n%60)
}

// size writes bytes: 16 B, 512 KiB, 1.5 MiB.
func size(n int) string {
	switch {
	case n >= 1<<20:
		return trim(float64(n)/(1<<20), 2) + nbsp + "MiB"
	case n >= 1<<10:
		return trim(float64(n)/(1<<10), 2) + nbsp + "KiB"
	default:
		return strconv.Itoa(n) + nbsp + "B"
	}
}

// percent writes a ratio of 0–1 as 12.3 %, with as many decimals as a small one needs.
func percent(ratio float64) string {
	p := ratio * 100
	switch a := math.Abs(p); {
	case !finite(p):
		return none
	case a >= 99.95 || a == 0:
		return trim(p, 1) + nbsp + "%"
	case a >= 0.95:
		return strconv.FormatFloat(p, 'f', 1, 64) + nbsp + "%"
	case a >= 1e-4:
		return strconv.FormatFloat(p, 'g', 2, 64) + nbsp + "%"
	default:
		return "<" + nbsp + "0.0001" + nbsp + "%"
	}
}

// change writes the way from one figure to another: +4.2 %, ×3.1, −12 %.
func change(from, to float64) string {
	switch {
	case !finite(from) || !finite(to) || from == 0 && to != 0:
		return none
	case from == to:
		return "±0" + nbsp + "%"
	case to/from >= 3:
		return "×" + trim(to/from, 1)
	}
	p := (to/from - 1) * 100
	s := strconv.FormatFloat(math.Abs(p), 'f', 1, 64) + nbsp + "%"
	if p < 0 {
		return "−" + s
	}
	return "+" + s
}

// trim writes v with at most that many decimals and no zeros at their end.
func trim(v float64, decimals int) string {
	s := strconv.FormatFloat(v, 'f', decimals, 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	if s == "-0" {
		return "0"
	}
	return strings.Replace(s, "-", "−", 1)
}

// three writes v, 1–999 or less, with three significant digits.
func three(v float64) string {
	decimals := 2
	switch a := math.Abs(v); {
	case a >= 99.95:
		decimals = 0
	case a >= 9.995:
		decimals = 1
	}
	return strconv.FormatFloat(v, 'f', decimals, 64)
}

// decimal writes v for the browser to read: all digits, a plain minus.
func decimal(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// plain makes a user's text fit to be shown. Characters that can't be seen
// (control characters, the marks that turn the direction of writing) are spelt
// out, so that a name can't pass for another one; long text is cut.
func plain(s string) string { return cut(s, longest) }

func cut(s string, limit int) string {
	var b strings.Builder
	n := 0
	for i, r := range s {
		if n++; n > limit {
			b.WriteString("…")
			break
		}
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\ufffd"):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case unicode.IsGraphic(r):
			b.WriteRune(r)
		default:
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
	}
	return b.String()
}

// plural writes "1 shard", "3 shards".
func plural(n int64, noun string) string {
	if n == 1 {
		return "1" + nbsp + noun
	}
	return count(n) + nbsp + noun + "s"
}

// list joins words as a sentence does: "a, b and c".
func list(words []string) string {
	switch n := len(words); n {
	case 0:
		return ""
	case 1:
		return words[0]
	default:
		return strings.Join(words[:n-1], ", ") + " and " + words[n-1]
	}
}
