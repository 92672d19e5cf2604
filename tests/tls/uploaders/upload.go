// Arguments: URL, bytes of the body, how many requests, x-script. Prints the status of each response, or what failed.
package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
)

func main() {
	size, _ := strconv.Atoi(os.Args[2])
	count, _ := strconv.Atoi(os.Args[3])
	body := make([]byte, size)
	for ; count > 0; count-- {
		request, _ := http.NewRequest("POST", os.Args[1], bytes.NewReader(body))
		request.Header.Set("x-script", os.Args[4])
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			fmt.Println(err)
			continue
		}
		_, err = io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(response.StatusCode)
	}
}
