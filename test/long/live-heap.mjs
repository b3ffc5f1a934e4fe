// Prints how much of a Node program's heap is in use after garbage has been collected, in bytes. Runs in the network namespace of a program
// whose inspector listens at the usual place (a program opens it after SIGUSR1).
const TIMEOUT_MILLIS = 20_000;

const [target] = await (await fetch('http://127.0.0.1:9229/json/list')).json();
const socket = new WebSocket(target.webSocketDebuggerUrl);
const answers = new Map();
let asked = 0;
const timer = setTimeout(() => process.exit(1), TIMEOUT_MILLIS);
socket.addEventListener('message', ({ data }) => {
  const { id, result } = JSON.parse(data);
  answers.get(id)?.(result);
});
await new Promise(resolve => socket.addEventListener('open', resolve));
await ask('HeapProfiler.collectGarbage');
const { usedSize } = await ask('Runtime.getHeapUsage');
console.log(usedSize);
socket.close();
clearTimeout(timer);

function ask(method) {
  asked += 1;
  socket.send(JSON.stringify({ id: asked, method }));
  return new Promise(resolve => answers.set(asked, resolve));
}
