/** What a transaction that is stuck pays when it is sent again: more than the tenth by which nodes want a replacement to pay more, and more than nothing. */
export const raisedFee = (fee: bigint): bigint => (fee * 3n) / 2n + 1n
