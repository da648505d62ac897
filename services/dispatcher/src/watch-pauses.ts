const beatMs = 1_000;

/**
 * Notices that this process stood still (SIGSTOP, a suspended machine) for so long that its locks have run out. Others
 * have its deliveries then: `woke` has to stop them here before they do harm.
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
