// Arguments: URL, bytes of the body, how many requests, x-script. Prints the status of each response, or what failed.
const [url, bytes, count, script] = process.argv.slice(2);
const body = Buffer.alloc(Number(bytes));

(async () => {
  for (let left = Number(count); left; left -= 1) {
    try {
      const response = await fetch(url, { method: "POST", headers: { "x-script": script }, body });
      await response.text();
      console.log(response.status);
    } catch (error) {
      console.log(error.message, error.cause && error.cause.message);
    }
  }
})();
