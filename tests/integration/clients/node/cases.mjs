// What the programs of this folder share: see ../client.py for the lines they print.
import readline from 'node:readline';

export const port = Number(process.argv.at(-1));

const CASE_MS = 20000;
const answers = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();

// Resolves when a new server listens on the same port.
export async function restart() {
  console.log('restart');
  await answers.next();
}

// Resolves with the first truthy value of condition().
export async function until(condition) {
  for (;;) {
    const value = await condition();
    if (value) {
      return value;
    }
    await new Promise((resolve) => { setTimeout(resolve, 2); });
  }
}

export class Skip extends Error {}

function limited(promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${CASE_MS} ms`)), CASE_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// Runs {name: async function} in order and ends the process.
export async function run(cases) {
  for (const [name, body] of Object.entries(cases)) {
    try {
      await limited(body());
      console.log(`ok ${name}`);
    } catch (error) {
      if (error instanceof Skip) {
        console.log(`skip ${name} ${error.message}`);
      } else {
        console.log((error.stack ?? String(error)).replace(/^/gm, '# '));
        console.log(`not ok ${name}`);
      }
    }
  }
  process.exit(0);
}
