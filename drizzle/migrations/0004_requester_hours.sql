CREATE TABLE `requester_hours` (
	`hour` integer NOT NULL,
	`requester` text NOT NULL,
	`succeeded` integer NOT NULL,
	`cancelled` integer NOT NULL,
	PRIMARY KEY(`hour`, `requester`)
);
--> statement-breakpoint
CREATE INDEX `requester_hours_requester` ON `requester_hours` (`requester`);