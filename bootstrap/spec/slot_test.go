package spec

import "testing"

func TestSlot(t *testing.T) {
	// From CLUSTER KEYSLOT of Redis 7.0.15; 123456789 is the check value of the CRC's catalogue (0x31C3).
	for key, want := range map[string]int{
		"": 0, "foo": 12182, "bar": 5061, "123456789": 0x31C3,
		"{user1000}.following": 3443, "{user1000}.followers": 3443, "user1000": 3443,
		"foo{}{bar}": 8363, "foo{{bar}}zap": 4015, "{bar": 4015, "foo{bar}{zap}": 5061,
	} {
		if got := Slot(key); got != want {
			t.Errorf("Slot(%q) = %d, want %d", key, got, want)
		}
	}
}
