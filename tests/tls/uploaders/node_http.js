// Arguments: URL, bytes of the body, how many requests, x-script. Prints the status of each response, or what failed.
const [url, bytes, count, script] = process.argv.slice(2);
const { request } = require(url.startsWith("https") ? "https" : "http");
const body = Buffer.alloc(Number(bytes));

function next(left) {
  if (!left) return;
  const asked = request(url, { method: "POST", headers: { "x-script": script, "content-length": body.length } });
  let told = false;
  const tell = (word) => { if (!told) { told = true; console.log(word); next(left - 1); } };
  asked.on("response", (response) => response.resume().on("end", () => tell(response.statusCode)));
  asked.on("error", (error) => tell(error.message));
  asked.end(body);
}

next(Number(count));
