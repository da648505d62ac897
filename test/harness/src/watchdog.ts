import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';

/**
 * A registry of everything that this process started and created, and a watchdog that ends and removes it if this process does not
 * (a killed test runner runs no hooks). The watchdog is an awk process that reads from a pipe: the pipe ends when this process has
 * ended, for any reason, and awk cleans up.
 */
type Kind = 'group' | 'folder' | 'mount' | 'listener';

interface Registry {
  readonly entries: Map<string, { kind: Kind; name: string }>;
  watchdog: ChildProcess | undefined;
}

const script = `
  { rest = substr($0, index($0, " ") + 1); kind = substr($1, 2); key = kind " " rest }
  $1 ~ /^[+]/ { kinds[key] = kind; names[key] = rest }
  $1 ~ /^-/ { delete kinds[key]; delete names[key] }
  END {
    for (key in kinds) if (kinds[key] == "group") system("kill -s KILL -- -" names[key] " 2>/dev/null")
    for (key in kinds) if (kinds[key] == "mount") system("umount -l -- \\"" names[key] "\\" 2>/dev/null")
    for (key in kinds) if (kinds[key] == "folder") system("rm -rf -- \\"" names[key] "\\"")
  }`;

// Vitest may load this module twice (as a setup file and through the package), but there must be only one registry.
const place = Symbol.for('dicom-dispatch harness registry');

function registry(): Registry {
  const holder = globalThis as { [place]?: Registry };
  holder[place] ??= { entries: new Map(), watchdog: undefined };
  return holder[place];
}

function warn(line: string): void {
  const held = registry();
  if (!held.watchdog) {
    const watchdog = spawn('awk', [script], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
    watchdog.unref();
    // The pipe itself must not prevent the tests from ending either.
    (watchdog.stdin as unknown as { unref(): void }).unref();
    watchdog.stdin.on('error', () => undefined);
    held.watchdog = watchdog;
  }
  held.watchdog.stdin?.write(`${line}\n`);
}

/** Registers a process group (its id), a folder or a mount point to be cleared up, or a listener of this process. */
export function watch(kind: Kind, id: string | number, name = String(id), isKept = false): void {
  if (!isKept) registry().entries.set(`${kind} ${id}`, { kind, name });
  if (kind !== 'listener') warn(`+${kind} ${id}`);
}

/** Removes a resource from the registry after it was cleaned up. */
export function unwatch(kind: Kind, id: string | number): void {
  if (registry().entries.delete(`${kind} ${id}`) && kind !== 'listener') warn(`-${kind} ${id}`);
}

/** Resources that were not stopped or removed, as text. */
export function whatIsLeft(): string[] {
  return [...registry().entries].map(([key, { name }]) => `${key} (${name})`);
}

export function watchdogPid(): number | undefined {
  return registry().watchdog?.pid;
}
