CREATE TABLE `chain_cursors` (
	`settlement` text PRIMARY KEY NOT NULL,
	`block` integer NOT NULL,
	`block_hash` text NOT NULL
);
--> statement-breakpoint
CREATE TABLE `chain_moves` (
	`settlement` text NOT NULL,
	`block` integer NOT NULL,
	`log_index` integer NOT NULL,
	`block_hash` text NOT NULL,
	`payer` text NOT NULL,
	`amount` text NOT NULL,
	PRIMARY KEY(`settlement`, `block`, `log_index`)
);
--> statement-breakpoint
CREATE INDEX `chain_moves_payer` ON `chain_moves` (`settlement`,`payer`);