export { encodeEntry } from './entry-text.ts';
export { openReceipts } from './open-receipts.ts';
export { decodeReceipt, encodeReceipt } from './receipt-codec.ts';
export { longestAnswer, type ReceiptEntry } from './receipt-types.ts';
export { receiptsInFolder, type ReceiptFolder } from './receipts-in-folder.ts';
export { Receipts, receiptsInRedis, type ReceiptStore } from './receipts.ts';
