// Debian's golang-github-varlink-go-dev. Arguments: the socket, the control socket, the prefix of the segments to be found.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strings"

	"github.com/varlink/go/varlink"
	"github.com/varlink/go/varlink/idl"
)

type segment struct {
	Key *string `json:"key"`
}

func tell(line map[string]interface{}) {
	text, err := json.Marshal(line)
	check(err)
	fmt.Println(string(text))
}

func got(name string, value interface{}) { tell(map[string]interface{}{"check": name, "got": value}) }

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// refusal tells an error as the library gives it: its own type for those of org.varlink.service, else *varlink.Error.
func refusal(err error) interface{} {
	switch e := err.(type) {
	case nil:
		return "no error"
	case *varlink.InvalidParameter:
		return map[string]interface{}{"name": "org.varlink.service.InvalidParameter",
			"parameters": map[string]string{"parameter": e.Parameter}}
	case *varlink.Error:
		return map[string]interface{}{"name": e.Name, "parameters": e.Parameters}
	default:
		return fmt.Sprintf("%T: %v", err, err)
	}
}

func info(ctx context.Context, name, socket string, descriptions map[string]string) {
	connection, err := varlink.NewConnection(ctx, "unix:"+socket)
	check(err)
	defer connection.Close()
	var vendor, product, version, url string
	var interfaces []string
	check(connection.GetInfo(ctx, &vendor, &product, &version, &url, &interfaces))
	got(name, map[string]interface{}{"vendor": vendor, "product": product, "version": version, "url": url,
		"interfaces": interfaces})
	for _, each := range interfaces {
		descriptions[each], err = connection.GetInterfaceDescription(ctx, each)
		check(err)
	}
}

func parse(descriptions map[string]string) {
	parsed := map[string]interface{}{}
	for name, text := range descriptions {
		// The parser of 0.4.0 knows no capitals in the name of an interface, which Varlink allows.
		tree, err := idl.New(strings.Replace(text, "\ninterface "+name, "\ninterface "+strings.ToLower(name), 1))
		if err != nil {
			parsed[name] = "does not parse: " + err.Error()
			continue
		}
		methods := []string{}
		for _, method := range tree.Methods {
			methods = append(methods, method.Name)
		}
		sort.Strings(methods)
		parsed[name] = methods
	}
	got("parsed", parsed)
}

func list(ctx context.Context, connection *varlink.Connection, prefix string) []interface{} {
	receive, err := connection.Send(ctx, "io.shmd.Segments.List", map[string]string{"prefix": prefix}, varlink.More)
	check(err)
	found := []interface{}{}
	for flags := uint64(varlink.Continues); flags&varlink.Continues != 0; {
		var reply struct{ Segment *segment }
		flags, err = receive(ctx, &reply)
		check(err)
		if reply.Segment == nil {
			found = append(found, nil)
		} else {
			found = append(found, reply.Segment.Key)
		}
	}
	return found
}

func main() {
	ctx := context.Background()
	socket, control, prefix := os.Args[1], os.Args[2], os.Args[3]
	descriptions := map[string]string{}
	info(ctx, "info", socket, descriptions)
	info(ctx, "control-info", control, descriptions)
	got("descriptions", descriptions)
	parse(descriptions)

	connection, err := varlink.NewConnection(ctx, "unix:"+socket)
	check(err)
	got("list", list(ctx, connection, prefix))
	got("list-empty", list(ctx, connection, prefix+"none"))
	var none struct{}
	call := func(method string, parameters interface{}) interface{} {
		return refusal(connection.Call(ctx, "io.shmd.Segments."+method, parameters, &none))
	}
	got("error", call("Describe", map[string]string{"key": prefix + "none"}))
	got("service-error", call("Detach", map[string]int{"attachment": 0}))
	got("expected-more", call("List", map[string]string{"prefix": prefix}))
	var opened struct {
		Segment        segment
		FileDescriptor *int
	}
	check(connection.Call(ctx, "io.shmd.Segments.Open", map[string]string{"key": prefix + "a", "access": "read"}, &opened))
	got("open", map[string]interface{}{"key": opened.Segment.Key, "fileDescriptor": opened.FileDescriptor})
	tell(map[string]interface{}{"check": "descriptor", "cannot": "it reads with read(2), which loses descriptors"})
}
