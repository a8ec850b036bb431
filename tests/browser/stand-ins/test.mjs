// Stands for node:test in a browser.
const found = [];

export default function test(name, run) {
  found.push([name, run]);
}

export async function results() {
  const said = [];
  for (const [name, run] of found) {
    try {
      await run();
      said.push([name, null]);
    } catch (error) {
      said.push([name, String(error)]);
    }
  }
  return said;
}
