package demo

// Preset is a demo node that has a name of its own: Query is what its URL says after `demo:?`.
type Preset struct {
	Name, Label, Query string
}

// Presets returns the named demo nodes: a plain one, and the three ways to a far server whose mean latency and
// success rate ferry's bench has to be able to tell apart.
func Presets() []Preset {
	return []Preset{
		{"demo", "演示节点", ""},
		{"demo/direct", "直连", "latency=3200ms&success=82"},
		{"demo/hongkong", "香港代理节点", "latency=800ms&success=98"},
		{"demo/singapore", "新加坡代理节点", "latency=1200ms&success=95"},
	}
}
