CREATE TABLE `provider_hours` (
	`provider` text NOT NULL,
	`hour` integer NOT NULL,
	`succeeded` integer NOT NULL,
	`failed` integer NOT NULL,
	`wrong` integer NOT NULL,
	`checked` integer NOT NULL,
	`paid` text NOT NULL,
	PRIMARY KEY(`provider`, `hour`)
);
