const beatMs = 1_000;

/**
 * Detects that this process was paused (SIGSTOP, a suspended machine) for so long that its locks have expired. Other
 * dispatchers have its deliveries then: `woke` must stop them here before they do harm.
 */
export function watchPauses(lockTimeMs: number, woke: () => void): { stop(): void } {
  let last = Date.now();
  const timer = setInterval(() => {
    const gapMs = Date.now() - last;
    last = Date.now();
    if (gapMs > lockTimeMs) woke();
  }, beatMs);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}
