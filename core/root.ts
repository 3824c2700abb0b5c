/** Kinds of roots in the order of `ReceiptLog.Kind`, by the name of their tree in an hour's head. */
export const ROOT_KINDS = ['receipts', 'decisions'] as const
