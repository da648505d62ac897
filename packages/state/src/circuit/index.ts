export { Circuits, type CircuitPauses, type CircuitState, type CircuitVerdict } from './circuit.ts';
